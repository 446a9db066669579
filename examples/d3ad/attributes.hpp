#pragma once
// A method's attributes of an image, as the program writes them beside the score.

#include <d3ad/pipeline/detection.hpp>
#include <string>

namespace program {

// "T 320  ", for each attribute that stands beside the score; `after` follows each.
inline std::string brief_text(const d3ad::AttributeValues& attributes, const std::string& after) {
  std::string text;
  for (std::size_t a = 0; a < attributes.size(); ++a) {
    const auto& attribute = (*attributes.described)[a];
    if (attribute.brief) text += attribute.label + " " + d3ad::attribute_text(attribute, attributes.values[a]) + after;
  }
  return text;
}

}  // namespace program
