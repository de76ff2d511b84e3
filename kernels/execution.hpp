// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace troupe {

class cpu_device;

enum class device_kind : std::uint8_t { cpu, cuda };

/// Where an op runs; passed to every op. A view: the device outlives it. Each op's .cpp is where it is dispatched.
class execution {
 public:
  explicit execution(const cpu_device& device) : kind_(device_kind::cpu), cpu_(&device) {}

  device_kind kind() const { return kind_; }
  const cpu_device& cpu() const { return *cpu_; }

 private:
  device_kind kind_;
  const cpu_device* cpu_;
};

/// An op was asked for on a device that this build has no code for.
class device_error : public std::runtime_error {
 public:
  explicit device_error(const std::string& op) : std::runtime_error(op + ": this build has no code for the device") {}
};

}  // namespace troupe
