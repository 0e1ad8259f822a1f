/* Keeps the compiler from knowing how a value came about: it joins shifts and additions into
 * multiplications where those are shorter. */
#ifndef HEQ_HIDE_H
#define HEQ_HIDE_H

#if defined(__GNUC__)
#define HEQ_HIDE(value) __asm__("" : "+r"(value))
#else
#define HEQ_HIDE(value) ((void)(value))
#endif

#endif
