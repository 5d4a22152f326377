// The random policy as a shared object, for `policy_replay --plugin`.
#include "random_policy.hpp"

extern "C" faultline::ReplacementPolicy* faultline_make_policy(const faultline::PolicySetup& setup) {
    return new RandomPolicy{setup};
}
