#pragma once
// The font of all pictures: smoothed strokes, of any size. It has letters, digits, signs and the Greek letters of the
// method.
//
//   draw::font::draw(image, "ω = 0.5", {.x = 10, .y = 30, .size = 14}, {40, 40, 40});      // x, y: left end, baseline
//   const double width = draw::font::width("ω = 0.5", 14);                                 // in pixels, as the size
//
// Text is UTF-8. A character that the font does not have is drawn as a box.

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "d3ad/draw/pixels.hpp"

namespace d3ad::draw::font {

struct Place {
  double x = 0, y = 0;  // left end of the baseline, pixels
  double size = 12;     // as CSS' font-size: the height of capitals is 0.72 of it
  bool bold = false;
  bool turned = false;  // reads upwards
};

namespace detail {

struct Glyph {
  char32_t sign;
  const char* strokes;  // polylines, separated by spaces; a point is two characters, x and y, counted from '0'
};

// The baseline is at y = 2; small letters reach up to 7, capitals to 9.
inline constexpr Glyph kGlyphs[] = {
    {'A', "022942 1535"},
    {'B', "02093948473606 3645433202"},
    {'C', "4839190803123243"},
    {'D', "02092947442202"},
    {'E', "49090242 0636"},
    {'F', "490902 0636"},
    {'G', "48391908031232434525"},
    {'H', "0209 4249 0646"},
    {'I', "0209"},
    {'J', "3933221203"},
    {'K', "0209 4905 1642"},
    {'L', "090242"},
    {'M', "0209346962"},
    {'N', "02094249"},
    {'O', "123243483919080312"},
    {'P', "02093948463505"},
    {'Q', "123243483919080312 2442"},
    {'R', "02093948463505 2542"},
    {'S', "483919080716354443321203"},
    {'T', "0949 2922"},
    {'U', "090312324349"},
    {'V', "092249"},
    {'W', "0922374269"},
    {'X', "0942 0249"},
    {'Y', "092649 2622"},
    {'Z', "09490242"},
    {'a', "4742 4637170603123243"},
    {'b', "0902 0617374643321203"},
    {'c', "4637170603123243"},
    {'d', "4942 4637170603123243"},
    {'e', "05454637170603123243"},
    {'f', "39291812 0737"},
    {'g', "4741301001 4637170603123243"},
    {'h', "0902 0617374642"},
    {'i', "0702 0909"},
    {'j', "171100 1919"},
    {'k', "0902 3704 1532"},
    {'l', "0902"},
    {'m', "0702 0617273632 3647576662"},
    {'n', "0702 0617374642"},
    {'o', "123243463717060312"},
    {'p', "0700 0617374643321203"},
    {'q', "4740 4637170603123243"},
    {'r', "0702 051737"},
    {'s', "46371706153443321203"},
    {'t', "19132232 0737"},
    {'u', "0703123243 4742"},
    {'v', "072247"},
    {'w', "0722364267"},
    {'x', "0742 0247"},
    {'y', "0722 471000"},
    {'z', "07470242"},
    {'0', "123243483919080312"},
    {'1', "072922"},
    {'2', "08193948470242"},
    {'3', "08193948473626 364543321203"},
    {'4', "32390444"},
    {'5', "490906364543321203"},
    {'6', "3919070312324345361605"},
    {'7', "094912"},
    {'8', "16070819394847361605031232434536"},
    {'9', "1232444839190806153546"},
    {'.', "0202"},
    {',', "1201"},
    {':', "0303 0606"},
    {';', "0303 0606 0201"},
    {'-', "0535"},
    {'+', "0545 2327"},
    {'=', "0444 0646"},
    {'/', "0139"},
    {'%', "0259 0809191808 4252534342"},
    {'(', "19070411"},
    {')', "09171401"},
    {'<', "480542"},
    {'>', "084502"},
    {'_', "0141"},
    {'\'', "0907"},
    {'"', "0907 2927"},
    {'|', "0900"},
    {'[', "19090111"},
    {']', "09191101"},
    {'!', "0904 0202"},
    {'?', "08193948472524 2222"},
    {'&', "52071939481603123244"},
    {U'×', "0347 0743"},
    {U'–', "0545"},
    {U'…', "0202 2222 4242"},
    {U'·', "0505"},
    {U'√', "0515224959"},
    {U'α', "5732120306173752"},
    {U'ᾱ', "5732120306173752 1949"},
    {U'ε', "463717061535 150403123243"},
    {U'η', "0702 0617374640"},
    {U'λ', "091942 2602"},
    {U'ω', "17050312223335 334252636557"},
};
// Accents over the character before: at the height of small letters, and of capitals.
inline constexpr char32_t kBar = 0x304, kHat = 0x302;
inline constexpr const char *kBarStrokes = "0939", *kHatStrokes = "0;1=2;", *kBox = "0209494202";

inline const char* strokes_of(char32_t sign) {
  if (sign == ' ') return "";
  if (sign == kBar) return kBarStrokes;
  if (sign == kHat) return kHatStrokes;
  for (const Glyph& g : kGlyphs)
    if (g.sign == sign) return g.strokes;
  return kBox;
}

// Returns the character that begins at text[i] and moves i behind it. Each byte that is not UTF-8 is one character.
inline char32_t next_sign(std::string_view text, std::size_t& i) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char first = byte(i);
  const std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  if (length == 0 || i + length > text.size()) return ++i, U'\uFFFD';
  auto sign = static_cast<char32_t>(length == 1 ? first : first & (0xff >> (length + 1)));
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return ++i, U'\uFFFD';
    sign = sign << 6 | (byte(i + k) & 0x3f);
  }
  i += length;
  return sign;
}

inline constexpr double kUnitX = 0.085, kUnitY = 0.103;  // of the font's size
inline constexpr int kSpace = 2;                         // between characters

inline int units_wide(const char* strokes) {
  int widest = 0;
  bool x = true;
  for (const char* p = strokes; *p; ++p) {
    if (*p == ' ') continue;
    if (x) widest = std::max(widest, *p - '0');
    x = !x;
  }
  return widest;
}

// Calls each(strokes, x) for the characters of the text, x in units; returns the width in units.
template <class Each>
int lay_out(std::string_view text, Each&& each) {
  int at = 0, before = 0, before_wide = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t sign = next_sign(text, i);
    const char* strokes = strokes_of(sign);
    const int wide = sign == ' ' ? 1 : units_wide(strokes);
    if (sign == kBar || sign == kHat) {
      each(strokes, before + 0.5 * (before_wide - wide));
      continue;
    }
    each(strokes, at);
    before = at, before_wide = wide;
    at += wide + kSpace;
  }
  return std::max(at - kSpace, 0);
}

}  // namespace detail

inline double width(std::string_view text, double size) {
  return detail::lay_out(text, [](const char*, double) {}) * detail::kUnitX * size;
}

inline void draw(Image& image, std::string_view text, const Place& place, Colour colour) {
  const double half = (place.bold ? 0.065 : 0.045) * place.size;
  detail::lay_out(text, [&](const char* strokes, double left) {
    std::vector<std::pair<double, double>> line;
    const auto flush = [&] {
      if (line.size() == 1) line.push_back(line.front());
      for (std::size_t i = 1; i < line.size(); ++i)
        stroke(image, line[i - 1].first, line[i - 1].second, line[i].first, line[i].second, half, colour);
      line.clear();
    };
    for (const char* p = strokes; *p; ++p) {
      if (*p == ' ') {
        flush();
        continue;
      }
      const double right = (left + (p[0] - '0')) * detail::kUnitX * place.size;
      const double up = (p[1] - '0' - 2) * detail::kUnitY * place.size;
      line.push_back(place.turned ? std::pair{place.x - up, place.y - right}
                                  : std::pair{place.x + right, place.y - up});
      ++p;
    }
    flush();
  });
}

}  // namespace d3ad::draw::font
