#pragma once
// A 5 x 7 bitmap font for pictures: digits, letters and the signs that labels need. Letters are drawn as capitals.
//
//   draw_text(image, x, y, "loss 0.05", {40, 40, 40}, 2);     // top left corner, colour, size of a dot in pixels

#include <array>
#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>

#include "d3ad/data/image.hpp"

namespace d3ad {

using Colour = std::array<std::uint8_t, 3>;

inline void fill_rectangle(Image& image, int x, int y, int w, int h, Colour colour) {
  for (int j = std::max(y, 0); j < std::min(y + h, image.height); ++j)
    for (int i = std::max(x, 0); i < std::min(x + w, image.width); ++i)
      std::copy(colour.begin(), colour.end(), image.at(i, j));
}

namespace detail {

// Seven rows of five dots each, as 35 characters.
inline const char* glyph(char c) {
  switch (std::toupper(static_cast<unsigned char>(c))) {
    case '0':
      return " ### #   ##  ### # ###  ##   # ### ";
    case '1':
      return "  #   ##    #    #    #    #   ### ";
    case '2':
      return " ### #   #    #   #   #   #   #####";
    case '3':
      return " ### #   #    #  ##     ##   # ### ";
    case '4':
      return "   #   ##  # # #  # #####   #    # ";
    case '5':
      return "######    ####     #    ##   # ### ";
    case '6':
      return " ### #    #    #### #   ##   # ### ";
    case '7':
      return "#####    #   #   #   #    #    #   ";
    case '8':
      return " ### #   ##   # ### #   ##   # ### ";
    case '9':
      return " ### #   ##   # ####    #    # ### ";
    case 'A':
      return " ### #   ##   #######   ##   ##   #";
    case 'B':
      return "#### #   ##   ##### #   ##   ##### ";
    case 'C':
      return " ### #   ##    #    #    #   # ### ";
    case 'D':
      return "#### #   ##   ##   ##   ##   ##### ";
    case 'E':
      return "######    #    #### #    #    #####";
    case 'F':
      return "######    #    #### #    #    #    ";
    case 'G':
      return " ### #   ##    # ####   ##   # ####";
    case 'H':
      return "#   ##   ##   #######   ##   ##   #";
    case 'I':
      return " ###   #    #    #    #    #   ### ";
    case 'J':
      return "  ###   #    #    #    # #  #  ##  ";
    case 'K':
      return "#   ##  # # #  ##   # #  #  # #   #";
    case 'L':
      return "#    #    #    #    #    #    #####";
    case 'M':
      return "#   ### ### # ## # ##   ##   ##   #";
    case 'N':
      return "#   ###  ## # ##  ###   ##   ##   #";
    case 'O':
      return " ### #   ##   ##   ##   ##   # ### ";
    case 'P':
      return "#### #   ##   ##### #    #    #    ";
    case 'Q':
      return " ### #   ##   ##   ## # ##  #  ## #";
    case 'R':
      return "#### #   ##   ##### # #  #  # #   #";
    case 'S':
      return " #####    #     ###     #    ##### ";
    case 'T':
      return "#####  #    #    #    #    #    #  ";
    case 'U':
      return "#   ##   ##   ##   ##   ##   # ### ";
    case 'V':
      return "#   ##   ##   ##   # # #  # #   #  ";
    case 'W':
      return "#   ##   ##   ## # ## # ### ###   #";
    case 'X':
      return "#   ##   # # #   #   # # #   ##   #";
    case 'Y':
      return "#   ##   # # #   #    #    #    #  ";
    case 'Z':
      return "#####    #   #   #   #   #    #####";
    case '.':
      return "                          ##   ##  ";
    case ',':
      return "                     ##   #   #    ";
    case ':':
      return "      ##   ##        ##   ##       ";
    case '-':
      return "               #####               ";
    case '+':
      return "       #    #  #####  #    #       ";
    case '=':
      return "          #####     #####          ";
    case '/':
      return "    #    #   #   #   #   #    #    ";
    case '%':
      return "##   ##  #   #   #   #   #  ##   ##";
    case '(':
      return "   #   #   #    #    #     #     # ";
    case ')':
      return " #     #     #    #    #   #   #   ";
    case '<':
      return "   #   #   #   #     #     #     # ";
    case '>':
      return " #     #     #     #   #   #   #   ";
    case '_':
      return "                              #####";
    case ' ':
      return "                                   ";
    default:
      return "##### # # # # # # # # # # # # #####";  // a box for what is not in the font
  }
}

}  // namespace detail

inline int text_pixels(std::string_view text, int dot = 1) { return static_cast<int>(text.size()) * 6 * dot; }

inline void draw_text(Image& image, int x, int y, std::string_view text, Colour colour, int dot = 1) {
  for (const char c : text) {
    const char* dots = detail::glyph(c);
    for (int j = 0; j < 7; ++j)
      for (int i = 0; i < 5; ++i)
        if (dots[j * 5 + i] == '#') fill_rectangle(image, x + i * dot, y + j * dot, dot, dot, colour);
    x += 6 * dot;
  }
}

}  // namespace d3ad
