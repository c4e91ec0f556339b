/* posecat: write lines "frame x y theta" as poses; posecat -d: read poses and write lines. */
#include "ros/messages.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct ros_pose pose;
    unsigned char bytes[4096];
    size_t have = 0, used;

    if (argc == 2 && !strcmp(argv[1], "-d")) {
        while ((used = fread(bytes + have, 1, sizeof bytes - have, stdin)) > 0 || have > 0) {
            have += used;
            size_t at = 0;
            while ((used = ros_pose_read(&pose, bytes + at, have - at)) > 0) {
                printf("%s %g %g %g\n", pose.frame, pose.x, pose.y, pose.theta);
                at += used;
            }
            if (at == 0)
                return 1;
            memmove(bytes, bytes + at, have -= at);
        }
        return 0;
    }
    while (scanf("%63s %lf %lf %lf", pose.frame, &pose.x, &pose.y, &pose.theta) == 4) {
        used = ros_pose_write(&pose, bytes, sizeof bytes);
        if (used == 0 || fwrite(bytes, 1, used, stdout) != used)
            return 1;
    }
    return feof(stdin) ? 0 : 1;
}
