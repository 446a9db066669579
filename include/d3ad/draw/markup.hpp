#pragma once
// Text and bytes for SVG and HTML.
//
//   const std::string text = draw::html_escape("a < b");     // "a &lt; b"
//   const std::string bytes = draw::base64("foo");           // "Zm9v"

#include <cstddef>
#include <cstdint>
#include <string>

#include "d3ad/core/compiled.hpp"

namespace d3ad::draw {

// Text for HTML and SVG, also in attributes.
std::string html_escape(const std::string& text);

// Bytes as text (RFC 4648), for pictures in pages.
std::string base64(const std::string& bytes);

}  // namespace d3ad::draw

#if D3AD_DEFINITIONS
#include "d3ad/draw/markup-inl.hpp"
#endif
