global using Megaphone.EndToEnd.Support;
global using Xunit;

// Most tests wait for the binary's own time-outs or for peers: six at a time wait together, on as few as two cores.
[assembly: CollectionBehavior(MaxParallelThreads = 6)]
[assembly: TestCollectionOrderer("Megaphone.EndToEnd.LongestFirst", "Megaphone.EndToEnd")]
