"""What codecs cost: weights, operations and memory counted, speed measured.

Counting conventions, for all tables:

- A multiply-accumulate of a network is one product of a weight and an activation that a convolution
  or a matrix product adds up, zero padding included; biases, activation functions and the pointwise
  parts of a normalization are not counted, as is usual.
- Integer encoders are counted from their layer tables, by `heqcodec.export.operations`: an addition
  or subtraction for each weight that is not zero at each place where it meets a sample and not
  padding, a shift for each weight of magnitude two, comparisons as additions; transforms by even
  and odd butterflies. Nothing else is shared between outputs: a lower count is possible. Where the
  number of operations depends on the image, they are counted on it.
- An entropy coder is counted in symbols (or binary decisions), and where it is this project's own,
  in additions and shifts a decision.
- All counts are per pixel of the image.
"""
