/* jpge.cpp includes it; without SPIRAM it uses nothing of it. */
