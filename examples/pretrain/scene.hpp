#pragma once
// Generated images: textures and objects under changing light, with the class they belong to.
//
//   const Zoo zoo(/*held_out=*/false);            // the classes: families x variants
//   Canvas image = zoo.example(c, dice, 128);     // of class c: a texture, or an object on a texture
//   Canvas image = zoo.scene(dice, 128);          // anything: objects, strokes and specks on textures
//
// Colours, turn, scale, light, blur and noise are random in every image; a class is what is left.

#include <d3ad/data/image.hpp>
#include <string>
#include <vector>

#include "shapes.hpp"

namespace pretrain {

struct Rgb {
  float r, g, b;
};
inline Rgb blend(Rgb a, Rgb b, float t) { return {blend(a.r, b.r, t), blend(a.g, b.g, t), blend(a.b, b.b, t)}; }
inline Rgb scaled(Rgb a, float f) { return {a.r * f, a.g * f, a.b * f}; }

// A square image, [size x size x 3] in 0 ... 1.
struct Canvas {
  int size;
  std::vector<float> values;

  explicit Canvas(int side) : size(side), values(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3) {}
  float* at(int x, int y) { return values.data() + (static_cast<std::ptrdiff_t>(y) * size + x) * 3; }
  void put(int x, int y, Rgb c, float alpha) {
    float* const p = at(x, y);
    p[0] = blend(p[0], c.r, alpha), p[1] = blend(p[1], c.g, alpha), p[2] = blend(p[2], c.b, alpha);
  }
  // As a network takes it, in -1 ... 1.
  void copy_input(float* out) const {
    for (const float v : values) *out++ = 2 * v - 1;
  }
  d3ad::Image picture() const {
    d3ad::Image image{size, size, 3};
    for (std::size_t i = 0; i < values.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(255 * values[i] + 0.5f);
    return image;
  }
};

class Zoo {
 public:
  static constexpr int kTextureVariants = 4, kShapeVariants = 3;

  explicit Zoo(bool held_out) {
    const auto add = [&](const auto& families, const char* stream, int variants, auto make) {
      constexpr std::uint64_t kClasses = 2024;  // the knobs of the classes, whatever the training's seed
      std::uint64_t number = 0;
      for (const auto& family : families)
        for (int v = 0; v < variants; ++v) {
          Dice dice(kClasses, stream, number++);
          // Variants are spread over the first knob, so that no two look the same.
          const float a = (static_cast<float>(v) + dice.between(0.2f, 0.8f)) / static_cast<float>(variants);
          const Knobs knobs{a, dice.between(0, 1), dice.between(0, 1), 0};
          if (family.held_out == held_out) classes_.push_back(make(family, knobs, dice));
        }
    };
    add(kTextures, "pretrain.texture", kTextureVariants, [](const TextureFamily& family, const Knobs& k, Dice& dice) {
      return Class{&family, nullptr, k, dice.ratio(7, 26)};
    });
    textures_ = classes();
    add(kShapes, "pretrain.shape", kShapeVariants, [](const ShapeFamily& family, const Knobs& k, Dice&) {
      return Class{nullptr, &family, k, 0};
    });
  }

  int classes() const { return static_cast<int>(classes_.size()); }
  int textures() const { return textures_; }  // the first classes are the textures
  std::string name(int c) const {
    const Class& k = classes_[static_cast<std::size_t>(c)];
    const int first = k.texture ? 0 : textures_, variants = k.texture ? kTextureVariants : kShapeVariants;
    return std::string(k.texture ? k.texture->name : k.shape->name) + std::to_string((c - first) % variants);
  }

  Canvas example(int c, Dice& dice, int size) const {
    const Class& k = classes_[static_cast<std::size_t>(c)];
    Canvas canvas(size);
    fill(canvas, surface(dice, k.texture ? c : dice.below(textures_), k.texture ? 0.25f : 0.1f));
    if (k.shape) {
      calm(canvas, dice.between(0, 1) * dice.between(0, 1));  // or the background drowns most objects
      const auto side = static_cast<float>(size);
      place(canvas, dice, k, side * dice.between(0.42f, 0.58f), side * dice.between(0.42f, 0.58f),
            side * dice.between(0.24f, 0.42f));
    }
    finish(canvas, dice);
    return canvas;
  }

  Canvas scene(Dice& dice, int size) const {
    Canvas canvas(size);
    fill(canvas, surface(dice, dice.below(textures_), 0.05f));
    calm(canvas, dice.ratio(0.05f, 1));  // most surfaces of real parts are quiet
    const auto side = static_cast<float>(size);
    const int objects = dice.chance(0.4f) ? 0 : 1 + dice.below(6);
    for (int i = 0; i < objects; ++i) {
      const int c = textures_ + dice.below(classes() - textures_);
      place(canvas, dice, classes_[static_cast<std::size_t>(c)], side * dice.between(0, 1), side * dice.between(0, 1),
            dice.ratio(6, side * (objects < 3 ? 0.6f : 0.3f)), 1 - dice.ratio(0.05f, 1));
    }
    if (dice.chance(0.4f)) clutter(canvas, dice);
    finish(canvas, dice);
    return canvas;
  }

 private:
  struct Class {
    const TextureFamily* texture;  // one of the two
    const ShapeFamily* shape;
    Knobs knobs;
    float period;  // pixels, of a texture
  };

  // A texture in colours, turned and scaled.
  struct Surface {
    const TextureFamily* family;
    Knobs knobs;
    float cosine, sine, dx, dy, stain;
    Rgb dark, bright, tint;
    Rgb at(float x, float y) const {
      const float u = x * cosine + y * sine + dx, v = y * cosine - x * sine + dy;
      const Rgb c = pretrain::blend(dark, bright, family->value(u, v, knobs));
      return stain > 0 ? pretrain::blend(c, tint, stain * value_noise(u * 0.13f, v * 0.13f, knobs.seed + 99)) : c;
    }
  };

  static Rgb colour(Dice& dice) {
    const float level = dice.between(0.05f, 0.95f);
    if (dice.chance(0.35f)) return {level, level, level};
    const float strength = dice.between(0, 0.5f);
    const auto channel = [&] { return std::clamp(level + strength * dice.between(-1, 1), 0.0f, 1.0f); };
    const float r = channel(), g = channel(), b = channel();
    return {r, g, b};
  }

  // least: contrast between its two colours
  Surface surface(Dice& dice, int c, float least) const {
    const Class& k = classes_[static_cast<std::size_t>(c)];
    Surface s{k.texture, k.knobs, 0, 0, dice.between(-50, 50), dice.between(-50, 50), 0, {}, {}, {}};
    s.knobs.seed = dice.seed();
    const float turn = dice.between(0, 2 * kPi), period = k.period * dice.between(0.85f, 1.15f);
    s.cosine = std::cos(turn) / period, s.sine = std::sin(turn) / period;
    s.dark = colour(dice);
    const Rgb other = colour(dice);
    const float distance =
        (std::abs(other.r - s.dark.r) + std::abs(other.g - s.dark.g) + std::abs(other.b - s.dark.b)) / 3;
    s.bright = distance > least ? other : scaled(s.dark, s.dark.g > 0.5f ? 1 - 1.5f * least : 1 + 3 * least);
    s.tint = colour(dice);
    if (dice.chance(0.3f)) s.stain = dice.between(0, 0.5f);
    return s;
  }

  static void fill(Canvas& canvas, const Surface& s) {
    for (int y = 0; y < canvas.size; ++y)
      for (int x = 0; x < canvas.size; ++x) canvas.put(x, y, s.at(static_cast<float>(x), static_cast<float>(y)), 1);
  }

  // Keeps `share` of the contrast.
  static void calm(Canvas& canvas, float share) {
    Rgb mean{0, 0, 0};
    const auto weight = 1 / static_cast<float>(canvas.size * canvas.size);
    for (std::size_t i = 0; i < canvas.values.size(); i += 3)
      mean.r += weight * canvas.values[i], mean.g += weight * canvas.values[i + 1],
          mean.b += weight * canvas.values[i + 2];
    for (int y = 0; y < canvas.size; ++y)
      for (int x = 0; x < canvas.size; ++x) canvas.put(x, y, mean, 1 - share);
  }

  // An object at (cx, cy) with its half side: shaded edges, a surface of its own that is paint by `least_plain` or
  // more, its shadow.
  void place(Canvas& canvas, Dice& dice, const Class& k, float cx, float cy, float half, float least_plain = 0) const {
    const Surface s = surface(dice, dice.below(textures_), 0.02f);
    const float plain = std::max(dice.chance(0.5f) ? dice.between(0.6f, 1.0f) : 0, least_plain);
    const Rgb paint = colour(dice);
    const float turn = dice.between(0, 2 * kPi), light = dice.between(0, 2 * kPi), c = std::cos(turn),
                sn = std::sin(turn);
    const float bevel = dice.between(0.03f, 0.3f), relief = dice.between(0, 0.6f);
    const float shadow = dice.chance(0.5f) ? dice.between(0.2f, 0.6f) : 0, throw_by = dice.between(0.05f, 0.2f);
    const float opacity = dice.chance(0.9f) ? 1 : dice.between(0.4f, 0.9f);
    const auto distance = [&](float x, float y) {
      const float u = (x - cx) / half, v = (y - cy) / half;
      return k.shape->distance(u * c + v * sn, v * c - u * sn, k.knobs);
    };
    const int reach = static_cast<int>(half * 1.6f) + 2;
    const int left = std::max(0, static_cast<int>(cx) - reach),
              right = std::min(canvas.size, static_cast<int>(cx) + reach);
    const int top = std::max(0, static_cast<int>(cy) - reach),
              low = std::min(canvas.size, static_cast<int>(cy) + reach);
    for (int y = top; y < low; ++y)
      for (int x = left; x < right; ++x) {
        const auto px = static_cast<float>(x), py = static_cast<float>(y);
        const float d = distance(px, py);
        if (shadow > 0) {
          const float from = distance(px - throw_by * half * std::cos(light), py - throw_by * half * std::sin(light));
          canvas.put(x, y, {0, 0, 0}, shadow * (1 - step_at(0, from, 0.3f)));
        }
        const float inside = 1 - step_at(0, d, 1.6f / half);
        if (inside <= 0) continue;
        Rgb colour_here = pretrain::blend(s.at(px, py), paint, plain);
        if (d > -bevel) {
          const float gx = distance(px + 1, py) - d, gy = distance(px, py + 1) - d;
          const float facing = (gx * std::cos(light) + gy * std::sin(light)) * half;
          colour_here = scaled(colour_here, 1 - relief * facing * (1 + d / bevel));
        }
        canvas.put(x, y, colour_here, inside * opacity);
      }
  }

  // Thin strokes and specks, for the autoencoder to learn small things from.
  static void clutter(Canvas& canvas, Dice& dice) {
    const auto side = static_cast<float>(canvas.size);
    for (int i = 1 + dice.below(5); i > 0; --i) {
      const Rgb paint = colour(dice);
      const float ax = dice.between(0, side), ay = dice.between(0, side), length = dice.ratio(2, 60);
      const float angle = dice.between(0, 2 * kPi), bx = ax + length * std::cos(angle),
                  by = ay + length * std::sin(angle);
      const float width = dice.ratio(0.6f, 4), alpha = dice.between(0.15f, 1);
      const int x0 = std::max(0, static_cast<int>(std::min(ax, bx) - width - 2)),
                x1 = std::min(canvas.size, static_cast<int>(std::max(ax, bx) + width + 3));
      const int y0 = std::max(0, static_cast<int>(std::min(ay, by) - width - 2)),
                y1 = std::min(canvas.size, static_cast<int>(std::max(ay, by) + width + 3));
      for (int y = y0; y < y1; ++y)
        for (int x = x0; x < x1; ++x) {
          const float d = shape::segment(static_cast<float>(x), static_cast<float>(y), ax, ay, bx, by);
          canvas.put(x, y, paint, alpha * (1 - step_at(width, d, 1.4f)));
        }
    }
  }

  // Light that falls off, blur, and the camera's noise.
  static void finish(Canvas& canvas, Dice& dice) {
    const float level = dice.between(0.7f, 1.15f), slope = dice.between(0, 0.4f), turn = dice.between(0, 2 * kPi);
    const float vignette = dice.chance(0.3f) ? dice.between(0, 0.4f) : 0, noise = dice.between(0, 0.03f);
    const float spot = dice.chance(0.2f) ? dice.between(0.05f, 0.4f) : 0, sx = dice.between(0, 1),
                sy = dice.between(0, 1), spread = dice.between(0.1f, 0.4f);
    const int blurs = dice.below(3);
    const auto seed = dice.seed();
    for (int i = 0; i < blurs; ++i) blur(canvas);
    const auto side = static_cast<float>(canvas.size);
    for (int y = 0; y < canvas.size; ++y)
      for (int x = 0; x < canvas.size; ++x) {
        const float u = static_cast<float>(x) / side, v = static_cast<float>(y) / side;
        const float gain = level * (1 + slope * ((u - 0.5f) * std::cos(turn) + (v - 0.5f) * std::sin(turn)) * 2) *
                           (1 - vignette * ((u - 0.5f) * (u - 0.5f) + (v - 0.5f) * (v - 0.5f)) * 2);
        const float shine =
            spot > 0 ? spot * std::exp(-((u - sx) * (u - sx) + (v - sy) * (v - sy)) / (spread * spread)) : 0;
        float* const p = canvas.at(x, y);
        for (int c = 0; c < 3; ++c) {
          const float grain = lattice(x * 3 + c, y, seed) + lattice(x * 3 + c, y, seed + 1) - 1;
          p[c] = std::clamp(p[c] * gain + shine + 2.4f * noise * grain, 0.0f, 1.0f);
        }
      }
  }

  // 1-2-1 in both directions.
  static void blur(Canvas& canvas) {
    for (const int along_x : {1, 0}) {
      const Canvas before = canvas;
      const std::ptrdiff_t stride = along_x ? 3 : 3 * std::ptrdiff_t{canvas.size};
      for (int y = 0; y < canvas.size; ++y)
        for (int x = 0; x < canvas.size; ++x) {
          const int at = along_x ? x : y;
          const std::ptrdiff_t i = (std::ptrdiff_t{y} * canvas.size + x) * 3;
          const std::ptrdiff_t lo = at > 0 ? i - stride : i, hi = at + 1 < canvas.size ? i + stride : i;
          for (int c = 0; c < 3; ++c)
            canvas.values[static_cast<std::size_t>(i + c)] = 0.25f * before.values[static_cast<std::size_t>(lo + c)] +
                                                             0.5f * before.values[static_cast<std::size_t>(i + c)] +
                                                             0.25f * before.values[static_cast<std::size_t>(hi + c)];
        }
    }
  }

  std::vector<Class> classes_;
  int textures_ = 0;
};

}  // namespace pretrain
