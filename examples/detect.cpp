// Is this part faulty? The shortest use of a trained model.
//
//   ./detect MODEL_FOLDER PHOTO
//   faulty: 0.61 (threshold 0.38)
//
// Exits 0 for good, 1 for faulty, 2 for an error.

#include <cstdio>
#include <d3ad/d3ad.hpp>
#include <exception>

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER PHOTO\n", argv[0]);
    return 2;
  }
  d3ad::Context<d3ad::Cpu> ctx;
  d3ad::Detector<d3ad::Cpu> detector(ctx, argv[1]);
  const auto found = detector(d3ad::read_image(argv[2]));
  std::printf("%s: %.3f (threshold %.3f)\n", found.faulty ? "faulty" : "good", static_cast<double>(found.score),
              static_cast<double>(detector.calibration().threshold));
  return found.faulty ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "detect: %s\n", error.what());
  return 2;
}
