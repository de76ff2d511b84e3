// SPDX-License-Identifier: Apache-2.0
// Asio and Beast, compiled once for every file that includes them.
#include <utility>

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
