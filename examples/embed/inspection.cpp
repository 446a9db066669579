// Part of another program: parts come by, each is photographed and judged. Here the photographs are the arguments.
//
//   ./inspection MODEL_FOLDER PHOTO...

#include <cstdio>
#include <d3ad/d3ad.hpp>
#include <exception>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER PHOTO...\n", argv[0]);
    return 2;
  }
  d3ad::Context<d3ad::Cpu> ctx;
  d3ad::Detector<d3ad::Cpu> detector(ctx, argv[1]);  // loads once, then memory stands still
  int faulty = 0;
  for (int i = 2; i < argc; ++i) {
    try {
      const d3ad::Detection found = detector(d3ad::read_image(argv[i]));
      std::printf("%s\t%s\t%.3f\n", argv[i], found.faulty ? "reject" : "pass", static_cast<double>(found.score));
      faulty += found.faulty;
    } catch (const d3ad::Error& error) {  // a damaged photograph does not stop the line
      std::printf("%s\tunknown\t%s\n", argv[i], error.what());
      ++faulty;
    }
  }
  return faulty ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "inspection: %s\n", error.what());
  return 2;
}
