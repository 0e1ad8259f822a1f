"""Weight quantizers side by side: at equal bits and equal training time, on two tasks."""
