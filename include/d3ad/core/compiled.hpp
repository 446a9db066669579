#pragma once
// Header-only or compiled: how a program gets what is heavy, and what keeps a program from mixing the two.
//
//   d3ad::d3ad        the headers define everything; each file that uses a network compiles it
//   d3ad::compiled    defines D3AD_COMPILED: the same headers declare what is heavy, and the library has it, compiled once
//
// If D3AD_DEFINITIONS is 1, a header includes the definitions of what it declares (NAME-inl.hpp, backend/cpu/NAME.hpp);
// if it is 0, it does not, and each source of the library (kernels/, which defines D3AD_COMPILING) includes those that it
// compiles. D3AD_INLINE stands before a definition that such a source keeps even though nothing in it calls it.
//
// A program is of one form and of one version. Every file leaves the same symbol behind, in a group that is named after
// form, version and whatever else changes inline code. The linker keeps one of equal groups; different ones it refuses:
//
//   multiple definition of `d3ad_files_are_of_different_forms_or_versions'

#define D3AD_VERSION_MAJOR 0
#define D3AD_VERSION_MINOR 1
#define D3AD_VERSION_PATCH 0

#if defined(D3AD_COMPILED)
#define D3AD_FORM "compiled"
#define D3AD_DEFINITIONS 0
#else
#define D3AD_FORM "headers"
#define D3AD_DEFINITIONS 1
#endif

#if defined(D3AD_COMPILING)
#define D3AD_INLINE [[gnu::used]] inline
#else
#define D3AD_INLINE inline
#endif

#if defined(D3AD_CHECK_BORDERS) && D3AD_CHECK_BORDERS
#define D3AD_BORDERS_TAG "_borders"
#else
#define D3AD_BORDERS_TAG ""
#endif

// nvcc's device pass has no object file of its own to mark.
#if defined(__ELF__) && !defined(__CUDA_ARCH__)
#define D3AD_TEXT_OF(x) #x
#define D3AD_TEXT(x) D3AD_TEXT_OF(x)
#define D3AD_ABI_TAG                                                                     \
  "d3ad_" D3AD_TEXT(D3AD_VERSION_MAJOR) "_" D3AD_TEXT(D3AD_VERSION_MINOR) "_" D3AD_TEXT( \
      D3AD_VERSION_PATCH) "_" D3AD_FORM D3AD_BORDERS_TAG
__asm__(".pushsection .rodata.d3ad_abi,\"aG\",%progbits," D3AD_ABI_TAG
        ",comdat\n"
        ".globl d3ad_files_are_of_different_forms_or_versions\n"
        ".hidden d3ad_files_are_of_different_forms_or_versions\n"
        ".type d3ad_files_are_of_different_forms_or_versions, %object\n"
        "d3ad_files_are_of_different_forms_or_versions:\n"
        ".asciz \"" D3AD_ABI_TAG
        "\"\n"
        ".popsection\n");
#endif
