/// @file
/// A pin for C: keeps a range of managed memory resident. Part of faultline.h; pin.hpp describes more.
#ifndef FAULTLINE_C_PIN_H
#define FAULTLINE_C_PIN_H

#include <faultline/export.hpp>

#ifdef __cplusplus
extern "C" {
#endif

/// A pin of a range: faultline::Pin.
typedef struct faultline_pin faultline_pin;

/// Ends a pin of a region or a heap. Leaves errno unchanged.
FAULTLINE_API void faultline_unpin(faultline_pin* pin);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_PIN_H
