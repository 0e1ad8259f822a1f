"""A study of frame sequences: what a patch's own past saves, and a recurrent unit on its code."""
