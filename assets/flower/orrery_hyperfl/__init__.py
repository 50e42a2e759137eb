"""HyperFL on Flower: Orrery's binary is the client and the average."""
