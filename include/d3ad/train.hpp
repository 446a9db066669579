#pragma once
// From a folder of good images to a model.
//
//   d3ad::Context<d3ad::Cpu> ctx;
//   d3ad::Trainer<d3ad::Cpu> trainer(ctx, request, events);            // pipeline/train.hpp says what a request holds
//   trainer.run();                                                     // every stage; goes on from where it was stopped

#include "d3ad/data/dataset.hpp"
#include "d3ad/pipeline/train.hpp"
