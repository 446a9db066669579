#pragma once
// stb_image and stb_image_write (Sean Barrett, public domain), compiled privately into each file that includes this
// one: PNG, JPEG and BMP from memory, PNG to memory. Only data/image.hpp includes it.
//
// Damaged files are its callers' daily bread, so: its assertions do not end the program (what they would catch is
// caught by its own checks), its memory starts as zeros (a JPEG may use tables it never defined), and UBSan overlooks
// two harmless things: shifts (past the end of a damaged JPEG its bit reader shifts zeros by 32 and more) and null
// pointers to memcpy (of no bytes, for an empty chunk of a PNG).

#include <cassert>
#include <climits>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wattributes"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("shift", "nonnull-attribute"))), apply_to = function)
#else
#define static           \
  static __attribute__(( \
      no_sanitize("shift", "nonnull-attribute")))  // there is no other way to reach functions of a header
#endif
#endif

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_ASSERT(condition) static_cast<void>(0)
#define STBI_MALLOC(size) std::calloc(1, size)
#define STBI_REALLOC(memory, size) std::realloc(memory, size)
#define STBI_FREE(memory) std::free(memory)
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#else
#include <stb_image.h>
#include <stb_image_write.h>
#endif

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#undef static
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
