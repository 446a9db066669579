// All kernels of one target, and the table of them. Included by each_target.inl.

#include "d3ad/backend/cpu/kernels/vectors.inl"
// in this order
#include "d3ad/backend/cpu/kernels/product.inl"
//
#include "d3ad/backend/cpu/kernels/gather.inl"
//
#include "d3ad/backend/cpu/kernels/emit.inl"
//
#include "d3ad/backend/cpu/kernels/winograd.inl"
//
#include "d3ad/backend/cpu/kernels/attention.inl"

inline constexpr Table kTable{
    .lanes = kLanes,
    .rows = kRows,
    .columns = kColumns,
    .product = product,
    .gather = gather,
    .columns_of = columns_of,
    .flat_columns_of = flat_columns_of,
    .emit = emit_rows,
    .winograd4_input = winograd_input<4>,
    .winograd4_output = winograd_output<4>,
    .winograd2_input = winograd_input<2>,
    .winograd2_output = winograd_output<2>,
    .winograd4_weights = winograd_weights<4>,
    .winograd2_weights = winograd_weights<2>,
    .attention_queries = attention_queries,
    .attention_values = attention_values,
    .attention_softmax = attention_softmax,
    .attention_output = attention_output,
};
