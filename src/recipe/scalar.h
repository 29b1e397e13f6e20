/* scalar.h: what one YAML scalar means, by the core schema of YAML 1.2 (section 10.3.2 of the
 * specification). YAML 1.1's surprises are absent: 1e-5 is a number; yes, no, on and off are text;
 * 1_000 and 12:30 are text; 010 is ten. A quoted scalar is always text. */
#ifndef RECIPE_SCALAR_H
#define RECIPE_SCALAR_H
#include <stdbool.h>
#include "base/yaml.h"

enum scalar_type { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT, SCALAR_TEXT };

struct scalar {
    enum scalar_type type;
    bool boolean;      /* SCALAR_BOOL */
    bool fits;         /* SCALAR_INT: whether `integer` holds it */
    long long integer; /* SCALAR_INT that fits */
    double number;     /* SCALAR_INT and SCALAR_FLOAT; may be infinite or NaN */
};

/* node must be a YAML_SCALAR. */
struct scalar scalar_read(const struct yaml_node *node);

#endif
