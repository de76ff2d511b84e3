// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>

#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/worker_pool.hpp"

namespace troupe {

/// The threads of one rank and the kernels of the instruction set it uses.
class cpu_device {
 public:
  cpu_device(std::size_t threads, isa instructions)
      : instructions_(instructions), kernels_(find_cpu_kernels(instructions)), pool_(threads) {
    assert(kernels_ != nullptr);
  }

  isa instructions() const { return instructions_; }
  const cpu_kernels& kernels() const { return *kernels_; }
  worker_pool& pool() const { return pool_; }

 private:
  isa instructions_;
  const cpu_kernels* kernels_;
  mutable worker_pool pool_;
};

}  // namespace troupe
