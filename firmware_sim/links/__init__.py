"""How a lock is reached: MQTT, BLE, memory."""
