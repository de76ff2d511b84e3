// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/engine/engine_options.hpp"

namespace troupe {

/// Of an engine that runs the small reference models of tests/data.
inline engine_options small_options() {
  engine_options options;
  options.block_tokens = 16;
  options.kv_blocks = 256;
  options.batch_tokens_max = 2048;
  return options;
}

}  // namespace troupe
