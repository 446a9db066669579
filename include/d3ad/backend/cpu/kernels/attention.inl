// Attention of one head, tile by tile. Scores are stored transposed, [keys][queries], so that a query is a lane, its
// running maximum and sum are taken along a column, and the result of one product is the operand of the next.

// q [queries] rows `step` apart, d numbers each, times `scale`: to [d][wide ? kColumns : kLanes], missing queries 0.
inline void attention_queries(const float* q, std::int64_t step, std::int64_t queries, std::int64_t d, float scale,
                              float* to, bool wide) {
  const std::int64_t columns = wide ? kColumns : kLanes;
  for (std::int64_t c = 0; c < d; ++c)
    for (std::int64_t i = 0; i < columns; ++i) to[c * columns + i] = i < queries ? scale * q[i * step + c] : 0.0f;
}

// v [keys] rows `step` apart, d numbers each: transposed, to [blocks of kDepth keys][d][kDepth].
inline void attention_values(const float* v, std::int64_t step, std::int64_t keys, std::int64_t d, float* to) {
  for (std::int64_t k = 0; k < keys; ++k) {
    float* const out = to + k / kDepth * d * kDepth + k % kDepth;
    for (std::int64_t c = 0; c < d; ++c) out[c * kDepth] = v[k * step + c];
  }
}

// One vector of queries. scores [keys][columns] <- exp(scores - largest), where largest becomes the largest so far;
// what was summed before has to be multiplied by `factor`. NaN stays NaN.
D3AD_SIMD_INLINE void soften(float* scores, std::int64_t columns, std::int64_t keys, float* largest, float* sum,
                             float* factor) {
  Vector most[4] = {load(largest), load(largest), load(largest), load(largest)};
  std::int64_t k = 0;
  for (; k + 4 <= keys; k += 4)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) most[i] = larger(most[i], load(scores + (k + i) * columns));
  for (; k < keys; ++k) most[0] = larger(most[0], load(scores + k * columns));
  const Vector top = larger(larger(most[0], most[1]), larger(most[2], most[3]));
  const Vector f = exp(load(largest) - top);
  Vector total[2]{};
  for (k = 0; k + 2 <= keys; k += 2)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const Vector p = exp(load(scores + (k + i) * columns) - top);
      store(scores + (k + i) * columns, p);
      total[i] += p;
    }
  for (; k < keys; ++k) {
    const Vector p = exp(load(scores + k * columns) - top);
    store(scores + k * columns, p);
    total[0] += p;
  }
  store(largest, top);
  store(factor, f);
  store(sum, load(sum) * f + (total[0] + total[1]));
}

// state [3][columns]: largest, sum, scratch. sums [d][columns]: of values so far, multiplied here.
inline void attention_softmax(float* scores, std::int64_t keys, float* state, float* sums, std::int64_t d, bool wide) {
  const std::int64_t columns = wide ? kColumns : kLanes;
  for (std::int64_t i = 0; i < columns; i += kLanes) {
    soften(scores + i, columns, keys, state + i, state + columns + i, state + 2 * columns + i);
    const Vector factor = load(state + 2 * columns + i);
    for (std::int64_t c = 0; c < d; ++c) store(sums + c * columns + i, load(sums + c * columns + i) * factor);
  }
}

// out [queries] rows `step` apart <- sums [d][columns] / sum
inline void attention_output(const float* sums, const float* state, std::int64_t queries, std::int64_t d, float* out,
                             std::int64_t step, bool wide) {
  const std::int64_t columns = wide ? kColumns : kLanes;
  for (std::int64_t i = 0; i < queries; ++i) {
    const float factor = 1.0f / state[columns + i];
    for (std::int64_t c = 0; c < d; ++c) out[i * step + c] = sums[c * columns + i] * factor;
  }
}
