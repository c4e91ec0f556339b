#include "ros/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int ros_name_valid(const char *name)
{
    int begins = 1;

    if (*name == '/' || *name == '~')
        name++;
    for (; *name; name++) {
        if (begins ? !isalpha((unsigned char)*name) : !isalnum((unsigned char)*name) && *name != '_' && *name != '/')
            return 0;
        begins = *name == '/';
    }
    return !begins;
}

int ros_name_resolve(const char *name, const char *name_space, const char *node, char *out, size_t size)
{
    const char *above = name_space;
    int length;

    if (!ros_name_valid(name))
        return -1;
    if (*name == '/')
        length = snprintf(out, size, "%s", name);
    else {
        if (*name == '~') {
            above = node;
            name++;
        }
        length = snprintf(out, size, "%s/%s", strcmp(above, "/") ? above : "", name);
    }
    return length < 0 || (size_t)length >= size ? -1 : 0;
}
