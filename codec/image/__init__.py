"""Pixels and metadata of PNG, JPEG and the other formats that Pillow reads; patches of 32x32."""
