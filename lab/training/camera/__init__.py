"""Images as cameras give them, and drawn ones, for training: seeded, in numpy and Pillow.

::

    a clean tile ─► optics ─► sensor (linear light, noise, mosaic) ─► development ─► JPEG ─► tile
                                       drawings ───────────────────────────────────────────► tile
                    all of them, and clean tiles as they are ─► pack (one .npy file)

What is made is the encoder's input, noise included, and so also the target of training.
"""
