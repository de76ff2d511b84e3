// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>

#include "actors/generation_store.hpp"

namespace troupe::simulation {

/// What of a node survives its process.
struct simulated_disk {
  std::uint64_t generation = 0;  ///< written last; 0: none ever was
  bool full = false;
};

/// The topology actor's way to its node's disk.
class simulated_generation_store final : public generation_store {
 public:
  explicit simulated_generation_store(simulated_disk& disk) : disk_(disk) {}

  std::uint64_t load() override { return disk_.generation; }
  void store(std::uint64_t generation) override {
    if (disk_.full) throw std::runtime_error("No space left on device");
    disk_.generation = generation;
  }

 private:
  simulated_disk& disk_;
};

}  // namespace troupe::simulation
