// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// Where the topology actor writes the generation of its epochs before it uses the first of them.
class generation_store {
 public:
  generation_store() = default;
  generation_store(const generation_store&) = delete;
  generation_store& operator=(const generation_store&) = delete;
  virtual ~generation_store() = default;

  /// The one written last; 0: none ever was. Throws std::runtime_error when it cannot be told.
  virtual std::uint64_t load() = 0;

  /// Returns when it would survive a loss of power. Throws std::runtime_error when it was not written.
  virtual void store(std::uint64_t generation) = 0;
};

/// For a cluster that ends with its process, and whose topology actor may end before.
class memory_generation_store : public generation_store {
 public:
  std::uint64_t load() override { return generation_; }
  void store(std::uint64_t generation) override { generation_ = generation; }

 private:
  std::uint64_t generation_ = 0;
};

}  // namespace troupe
