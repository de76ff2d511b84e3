// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

namespace troupe::openssl {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* x) const {
    Free(x);
  }
};

using bio = std::unique_ptr<BIO, freed_by<BIO_free>>;
using big_number = std::unique_ptr<BIGNUM, freed_by<BN_free>>;
using certificate = std::unique_ptr<X509, freed_by<X509_free>>;
using configuration = std::unique_ptr<CONF, freed_by<NCONF_free>>;
using extension = std::unique_ptr<X509_EXTENSION, freed_by<X509_EXTENSION_free>>;
using private_key = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using trust_store = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;
using verification = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;

}  // namespace troupe::openssl
