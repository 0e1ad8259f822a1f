# Zephyr's functions are in ../CMakeLists.txt.
