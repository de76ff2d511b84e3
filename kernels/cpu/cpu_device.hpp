// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>

#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/worker_pool.hpp"
#include "kernels/host_buffer.hpp"

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

  /// Memory for the length of one op; the same again at the next call, grown where needed.
  std::byte* scratch(std::size_t bytes) const {
    if (scratch_.bytes() < bytes) scratch_ = host_buffer(bytes);
    return scratch_.data();
  }

 private:
  isa instructions_;
  const cpu_kernels* kernels_;
  mutable worker_pool pool_;
  mutable host_buffer scratch_;
};

}  // namespace troupe
