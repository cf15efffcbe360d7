// Makes the tiny model packs, says where they are, and keeps them until its input ends.
#include <stdio.h>

#include "tiny_pack.h"

int main(void) {
    printf("%s\n%s\n", tiny_classifier(), tiny_saliency());
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
