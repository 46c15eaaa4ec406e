using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>A node that is gone for good need not be waited for: the others of its cluster say so (section 7 of the link protocol).</summary>
public sealed class ModuleResumptionClusterTests : IAsyncLifetime
{
    private readonly List<LinkPeer> _links = [];
    private IReadOnlyList<Ejabberd> _nodes = [];

    public async Task InitializeAsync() => _nodes = await Ejabberd.StartClusterAsync(2);

    public async Task DisposeAsync()
    {
        _links.ForEach(link => link.Dispose());
        foreach (Ejabberd node in _nodes.Reverse()) await node.DisposeAsync();
    }

    [Fact]
    public async Task ECMs_are_told_by_another_node_that_one_has_died()
    {
        (_, string name) = await ConnectAsync("early", _nodes[1]);
        (LinkPeer living, string _) = await ConnectAsync("early", _nodes[0]);
        await _nodes[1].KillAsync();
        await AssertIsToldAsync(living, name);

        // One that connects only now may wait for that node, too.
        (LinkPeer late, string _) = await ConnectAsync("late", _nodes[0]);
        await AssertIsToldAsync(late, name);

        // A node that has come back is nothing to be told of, until it dies again.
        await _nodes[1].StartAgainAsync();
        await _nodes[0].ComesToAsync("1", "length([P || M <- tuple_to_list(sys:get_state(ejabberd_megaphone_registry)), is_map(M), "
            + "P <- maps:keys(M), is_pid(P), node(P) =/= node()])");
        (LinkPeer latest, string _) = await ConnectAsync("latest", _nodes[0]);
        await latest.AssertStaysSilentAsync();
        await _nodes[1].KillAsync();
        await AssertIsToldAsync(latest, name);
    }

    /// <summary>A new link of an ECM of that name with a node, and the node's name.</summary>
    private async Task<(LinkPeer Link, string Node)> ConnectAsync(string name, Ejabberd node)
    {
        LinkPeer link = await LinkPeer.PlainEcmAsync(node.LinkListener);
        await link.SendControlAsync(
            $$$"""{"op":"hello","version":1,"name":"{{{name}}}","framing":"stanza","resume":{"instance":"i","slot":0,"window":1048576}}""");
        _links.Add(link);
        return (link, (await link.ReceiveControlAsync()).GetProperty("name").GetString()!);
    }

    private static async Task AssertIsToldAsync(LinkPeer link, string name)
    {
        JsonElement told = await link.ReceiveControlAsync();
        Assert.Equal(("gone", name), (told.GetProperty("op").GetString(), told.GetProperty("name").GetString()));
    }
}
