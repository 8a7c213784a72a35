"""YAML for settings: plain values only. Import it where a file is read, because PyYAML is slow to load."""

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, which can expand without limit, and without repeated names."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next value."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ComposerError(None, None, f"the alias *{event.anchor[:40]}; write the value itself", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping without repeated names."""
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, _ in node.value:
                name = str(key.value).replace("-", "_") if isinstance(key, yaml.ScalarNode) else ""
                if name in seen:
                    raise ConstructorError(None, None, f"{key.value[:40]} stands there twice", key.start_mark)
                seen |= {name} - {""}
        return super().construct_mapping(node, deep)
