// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "actors/generation_store.hpp"

namespace troupe::simulation {

/// What of a node survives its process.
struct simulated_disk {
  std::uint64_t generation = 0;  ///< written last; 0: none ever was
  std::vector<std::string> drained;
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
  std::vector<std::string> load_drained() override { return disk_.drained; }
  void store_drained(const std::vector<std::string>& names) override {
    if (disk_.full) throw std::runtime_error("No space left on device");
    disk_.drained = names;
  }

 private:
  simulated_disk& disk_;
};

}  // namespace troupe::simulation
