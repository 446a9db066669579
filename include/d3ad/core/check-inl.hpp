#pragma once
// Definitions of core/check.hpp. Included by it unless they are compiled.

#include <locale>
#include <sstream>

#include "d3ad/core/check.hpp"

namespace d3ad::detail {

D3AD_INLINE void SentencePart::write_text(std::ostream& out, const void* text) {
  out << static_cast<const char*>(text);
}
D3AD_INLINE void SentencePart::write_string(std::ostream& out, const void* text) {
  out << *static_cast<const std::string*>(text);
}

D3AD_INLINE std::string sentence(const SentencePart* parts, std::size_t count) {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // a program may have set another one
  for (std::size_t i = 0; i < count; ++i) parts[i].write(out);
  return out.str();
}

D3AD_INLINE void fail_with(const SentencePart* parts, std::size_t count) { throw Error(sentence(parts, count)); }

}  // namespace d3ad::detail
