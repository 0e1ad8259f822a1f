"""`nqe-t`: a 32-point integer transform and an embedded bit-plane code for each patch."""
