/* examples/lora_camera includes it. */
