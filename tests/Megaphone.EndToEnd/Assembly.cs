global using Megaphone.EndToEnd.Support;
global using Xunit;

// Most tests wait for the binary's own time-outs; two at a time wait together, more would only disturb each other.
[assembly: CollectionBehavior(MaxParallelThreads = 2)]
