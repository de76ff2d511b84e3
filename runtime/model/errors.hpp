// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace troupe {

/// A config.json, model name or split that cannot be served; the message names the key and value and what would be
/// right.
class config_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Weight files that are missing, damaged or not of the model that the configuration describes.
class weights_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace troupe
