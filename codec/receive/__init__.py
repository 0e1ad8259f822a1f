"""A receiver of packets: takes, stores, decodes and shows images as they arrive (docs/RECEIVER.md).

::

    udp ─┐
    serial ├─► intake: checks, stores ─► SQLite ─► acknowledgement to the sender
    folder │                               │
    mqtt ─┘                                ├─► processes: .heq and .png of what is complete or over
                                           └─► page: gallery, live
"""
