"""Synthetic doodles: a hand that draws (pen) and what it draws (plain, nature, things)."""
