"""A plan in words: how many hosts, what fills them, what more fits, and what it rests on."""
