
address_on() { # the IPv4 address of an interface
    ip -4 -oneline address show dev "$1" | awk '{split($4, part, "/"); print part[1]; exit}'
}

route_to() { # a field of the route to an address: dev or src
    ip -4 -oneline route get "$1" |
        awk -v key="$2" '{for (i = 1; i < NF; i++) if ($i == key) {print $(i + 1); exit}}'
}

interface={{interface}}
if [ "${1:-}" = address ]; then # this node's address, as the other nodes reach it
    if [ -n "$interface" ]; then
        address_on "$interface"
    else
        route_to 192.0.2.1 src # an address for examples: this only looks up the way out
    fi
    exit
fi

rank=${1:-${SLURM_PROCID:-}}
head=${2:-${HEAD_ADDRESS:-{{head}}}}
case $rank in
    '' | *[!0-9]*) fail "Which node is this? 0 serves; the others are 1 to {{last}}: ./serve.sh RANK" ;;
esac
[ "$rank" -le {{last}} ] || fail "There are {{nodes}} nodes: ranks 0 to {{last}}."
[ -n "$head" ] || fail "Where is node 0? ./serve.sh RANK ADDRESS"
head=$(getent ahostsv4 -- "$head" | awk '{print $1; exit}') || true
[ -n "$head" ] || fail "Node 0 has no IPv4 address by that name."

if [ -z "$interface" ]; then
    if [ "$rank" -eq 0 ]; then
        interface=$(ip -4 -oneline address show to "$head" | awk '{print $2; exit}')
    else
        interface=$(route_to "$head" dev)
    fi
fi
case $interface in
    '') fail "No interface of this node has or reaches $head." ;;
    lo) fail "$head is only this node's loopback: give the address that the other nodes reach." ;;
esac
own=$(address_on "$interface")
[ -n "$own" ] || fail "$interface has no IPv4 address."
export VLLM_HOST_IP="$own"
export NCCL_SOCKET_IFNAME="$interface" GLOO_SOCKET_IFNAME="$interface" TP_SOCKET_IFNAME="$interface"
