// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// Where the topology actor writes down what the next one must know: the generation of its epochs, before it uses the
/// first of them, and what operators have taken out of use.
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

  /// Names of nodes and groups. Both throw std::runtime_error as load() and store() do.
  virtual std::vector<std::string> load_drained() = 0;
  virtual void store_drained(const std::vector<std::string>& names) = 0;
};

/// For a cluster that ends with its process, and whose topology actor may end before.
class memory_generation_store : public generation_store {
 public:
  std::uint64_t load() override { return generation_; }
  void store(std::uint64_t generation) override { generation_ = generation; }
  std::vector<std::string> load_drained() override { return drained_; }
  void store_drained(const std::vector<std::string>& names) override { drained_ = names; }

 private:
  std::uint64_t generation_ = 0;
  std::vector<std::string> drained_;
};

}  // namespace troupe
