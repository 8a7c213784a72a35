"""Names of classes, as preparation writes them: see `project.work.class_names`, by which training reads them."""

from project.work.class_names import canonical, notes

__all__ = ["canonical", "notes"]
