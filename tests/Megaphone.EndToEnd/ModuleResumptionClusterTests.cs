using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>A node that is gone for good need not be waited for: the others of its cluster say so (section 7 of the link protocol).</summary>
public sealed class ModuleResumptionClusterTests : IAsyncLifetime
{
    private const string Hello =
        """{"op":"hello","version":1,"name":"test","framing":"stanza","resume":{"instance":"i","slot":0,"window":1048576}}""";

    private IReadOnlyList<Ejabberd> _nodes = [];

    public async Task InitializeAsync() => _nodes = await Ejabberd.StartClusterAsync(2);

    public async Task DisposeAsync()
    {
        foreach (Ejabberd node in _nodes.Reverse()) await node.DisposeAsync();
    }

    [Fact]
    public async Task An_ECM_is_told_by_another_node_that_one_has_died()
    {
        using LinkPeer dying = await LinkPeer.PlainEcmAsync(_nodes[1].LinkListener);
        await dying.SendControlAsync(Hello);
        string? name = (await dying.ReceiveControlAsync()).GetProperty("name").GetString();
        using LinkPeer living = await LinkPeer.PlainEcmAsync(_nodes[0].LinkListener);
        await living.SendControlAsync(Hello);
        await living.ReceiveControlAsync();

        await _nodes[1].KillAsync();

        JsonElement told = await living.ReceiveControlAsync();
        Assert.Equal(("gone", name), (told.GetProperty("op").GetString(), told.GetProperty("name").GetString()));

        // And again, if it has come back meanwhile.
        await _nodes[1].StartAgainAsync();
        await _nodes[0].ComesToAsync("1", "length([P || M <- tuple_to_list(sys:get_state(ejabberd_megaphone_registry)), is_map(M), "
            + "P <- maps:keys(M), is_pid(P), node(P) =/= node()])");
        await _nodes[1].KillAsync();
        Assert.Equal("gone", (await living.ReceiveControlAsync()).GetProperty("op").GetString());
    }
}
