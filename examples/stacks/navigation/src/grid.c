#include "ros/grid.h"

#include <stdlib.h>

int ros_grid_way(const struct ros_grid *grid, int from, int to, int *way)
{
    int count = grid->width * grid->height, head = 0, tail = 0, length = 0;
    int *before = malloc(sizeof(int) * count), *queue = malloc(sizeof(int) * count);

    if (before && queue && from >= 0 && to >= 0 && from < count && to < count && !grid->cells[from] && !grid->cells[to]) {
        for (int i = 0; i < count; i++)
            before[i] = -1;
        before[to] = to; /* searched from the end, so that the way comes out in its order */
        queue[tail++] = to;
        while (head < tail && before[from] < 0) {
            int cell = queue[head++], x = cell % grid->width, y = cell / grid->width;
            const int next[] = {x > 0 ? cell - 1 : -1, x < grid->width - 1 ? cell + 1 : -1,
                                y > 0 ? cell - grid->width : -1, y < grid->height - 1 ? cell + grid->width : -1};
            for (int i = 0; i < 4; i++)
                if (next[i] >= 0 && before[next[i]] < 0 && !grid->cells[next[i]]) {
                    before[next[i]] = cell;
                    queue[tail++] = next[i];
                }
        }
        if (before[from] >= 0) {
            for (int cell = from; cell != to; cell = before[cell])
                way[length++] = cell;
            way[length++] = to;
        }
    }
    free(before);
    free(queue);
    return length;
}
